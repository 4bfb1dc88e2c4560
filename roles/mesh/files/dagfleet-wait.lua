-- Written by Dagfleet (role mesh). Keeps a connection waiting until a host's database is open, and then refuses it.
core.register_action("wait-for-database", { "tcp-req" }, function(_, seconds)
    for _ = 1, tonumber(seconds) do
        for name, server in pairs(core.backends["db"].servers) do
            -- "nobody" is this room itself.
            if name ~= "nobody" and string.sub(server:get_stats()["status"], 1, 2) == "UP" then
                return act.CONTINUE
            end
        end
        core.sleep(1)
    end
    return act.DENY
end, 1)
