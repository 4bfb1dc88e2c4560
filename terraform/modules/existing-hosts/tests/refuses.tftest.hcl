variables {
  fleet_file = "tests/fleet.yml"
  contract   = { version = 1, fleet = { hosts = {} } }
}

run "something_that_is_no_contract" {
  command = plan
  variables {
    contract = { hosts = {} }
  }
  expect_failures = [var.contract]
}

run "a_contract_of_another_version" {
  command = plan
  variables {
    contract = { version = 2, fleet = { hosts = {} } }
  }
  expect_failures = [var.contract]
}

run "a_fleet_file_that_is_not_there" {
  command = plan
  variables {
    fleet_file = "tests/flete.yml"
  }
  expect_failures = [var.fleet_file]
}

run "no_command" {
  command = plan
  variables {
    dagfleet = ""
  }
  expect_failures = [var.dagfleet]
}

run "time_that_runs_backwards" {
  command = plan
  variables {
    wait_seconds = -1
  }
  expect_failures = [var.wait_seconds]
}

run "half_a_second" {
  command = plan
  variables {
    wait_seconds = 0.5
  }
  expect_failures = [var.wait_seconds]
}
