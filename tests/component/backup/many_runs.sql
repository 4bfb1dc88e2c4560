-- Ten thousand runs that differ from run ORIGINAL in their ids alone, with its tags, its start and its end.
CREATE TEMP TABLE copies AS SELECT gen_random_uuid()::text AS id FROM generate_series(1, 10000);
INSERT INTO runs SELECT new.* FROM runs r, copies c, LATERAL jsonb_populate_record(r, jsonb_build_object(
    'id', nextval('runs_id_seq'), 'run_id', c.id, 'run_body', replace(r.run_body, r.run_id, c.id)
)) new WHERE r.run_id = 'ORIGINAL';
INSERT INTO run_tags SELECT new.* FROM run_tags r, copies c, LATERAL jsonb_populate_record(r, jsonb_build_object(
    'id', nextval('run_tags_id_seq'), 'run_id', c.id
)) new WHERE r.run_id = 'ORIGINAL';
INSERT INTO event_logs SELECT new.* FROM event_logs r, copies c, LATERAL jsonb_populate_record(r, jsonb_build_object(
    'id', nextval('event_logs_id_seq'), 'run_id', c.id, 'event', replace(r.event, r.run_id, c.id)
)) new WHERE r.run_id = 'ORIGINAL' AND r.dagster_event_type IN ('PIPELINE_START', 'PIPELINE_SUCCESS');
DROP TABLE copies;
