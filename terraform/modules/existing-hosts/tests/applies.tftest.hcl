# `true` stands in for dagfleet, which needs a fleet: tests/e2e/test_terraform.py has one.

variables {
  dagfleet   = "true"
  fleet_file = "tests/fleet.yml"
  contract   = { version = 1, fleet = { hosts = { alpha = { address = "10.0.1.1", ssh = { user = "ops", port = 22 } } } } }
}

run "the_first_apply" {}

run "nothing_new_applies_nothing" {
  assert {
    condition     = output.applied == run.the_first_apply.applied
    error_message = "it was applied again"
  }
}

run "another_contract_applies_again" {
  variables {
    contract = { version = 1, fleet = { firewall = { ssh = ["10.0.9.0/24"] }, hosts = { alpha = { address = "10.0.1.1", ssh = { user = "ops", port = 22 } } } } }
  }
  assert {
    condition     = output.applied != run.the_first_apply.applied
    error_message = "it was not applied again"
  }
}

run "another_trigger_applies_again" {
  variables {
    contract = { version = 1, fleet = { firewall = { ssh = ["10.0.9.0/24"] }, hosts = { alpha = { address = "10.0.1.1", ssh = { user = "ops", port = 22 } } } } }
    triggers = "another fleet.yml"
  }
  assert {
    condition     = output.applied != run.another_contract_applies_again.applied
    error_message = "it was not applied again"
  }
}
