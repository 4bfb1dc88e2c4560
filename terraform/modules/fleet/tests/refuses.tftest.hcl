# Each rule of the module refuses what fleet.yml refuses. The wording is compared in tests/component/terraform.

variables {
  name    = "prod"
  control = { host = "alpha" }
  hosts   = { alpha = { address = "10.0.1.1" }, beta = { address = "10.0.1.2" } }
}

run "a_name_with_capitals" {
  command = plan
  variables {
    name = "Prod"
  }
  expect_failures = [var.name]
}

run "a_control_host_that_is_no_host" {
  command = plan
  variables {
    control = { host = "gama" }
  }
  expect_failures = [var.control]
}

run "a_control_host_without_docker" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1", docker = "none" } }
  }
  expect_failures = [var.control]
}

run "a_web_name_that_is_an_address" {
  command = plan
  variables {
    control = { host = "alpha", web = { hostname = "10.0.1.1" } }
  }
  expect_failures = [var.control]
}

run "a_web_name_with_a_blank" {
  command = plan
  variables {
    control = { host = "alpha", web = { hostname = "dagster example" } }
  }
  expect_failures = [var.control]
}

run "a_web_port_of_zero" {
  command = plan
  variables {
    control = { host = "alpha", web = { port = 0 } }
  }
  expect_failures = [var.control]
}

run "an_acme_port_too_large" {
  command = plan
  variables {
    control = { host = "alpha", web = { acme_port = 65536 } }
  }
  expect_failures = [var.control]
}

run "a_web_port_that_ssh_has" {
  command = plan
  variables {
    control = { host = "alpha", web = { port = 22 } }
  }
  expect_failures = [var.control]
}

run "a_web_port_that_the_web_server_has" {
  command = plan
  variables {
    control = { host = "alpha", web = { port = 3000 } }
  }
  expect_failures = [var.control]
}

run "a_web_port_among_those_of_locations" {
  command = plan
  variables {
    control = { host = "alpha", web = { port = 20000 } }
  }
  expect_failures = [var.control]
}

run "no_hosts" {
  command = plan
  variables {
    hosts = {}
  }
  expect_failures = [var.hosts]
}

run "a_host_name_with_an_underscore" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1" }, my_host = { address = "10.0.1.2" } }
  }
  expect_failures = [var.hosts]
}

run "a_host_name_of_dagfleet_s_own" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1" }, gateway = { address = "10.0.1.2" } }
  }
  expect_failures = [var.hosts]
}

run "an_address_that_is_none" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.999" } }
  }
  expect_failures = [var.hosts]
}

run "an_address_of_three_numbers" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1" } }
  }
  expect_failures = [var.hosts]
}

run "an_address_with_a_leading_zero" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.01.1" } }
  }
  expect_failures = [var.hosts]
}

run "an_address_in_ipv6" {
  command = plan
  variables {
    hosts = { alpha = { address = "fd00:1::1" } }
  }
  expect_failures = [var.hosts]
}

run "a_loopback_address" {
  command = plan
  variables {
    hosts = { alpha = { address = "127.0.0.1" } }
  }
  expect_failures = [var.hosts]
}

run "a_multicast_address" {
  command = plan
  variables {
    hosts = { alpha = { address = "239.0.0.1" } }
  }
  expect_failures = [var.hosts]
}

run "an_address_twice" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1" }, beta = { address = "10.0.1.1" } }
  }
  expect_failures = [var.hosts]
}

run "an_empty_user" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1", ssh = { user = "" } } }
  }
  expect_failures = [var.hosts]
}

run "an_empty_key" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1", ssh = { key = "" } } }
  }
  expect_failures = [var.hosts]
}

run "another_kind_of_docker" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1" }, beta = { address = "10.0.1.2", docker = "podman" } }
  }
  expect_failures = [var.hosts]
}

run "an_ssh_port_of_zero" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1", ssh = { port = 0 } } }
  }
  expect_failures = [var.hosts]
}

run "a_docker_port_too_large" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1", docker_port = 65536 } }
  }
  expect_failures = [var.hosts]
}

run "a_mesh_port_with_a_fraction" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1", mesh = { port = 4443.5 } } }
  }
  expect_failures = [var.hosts]
}

run "a_port_twice_on_a_host" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1", mesh = { port = 2376 } } }
  }
  expect_failures = [var.hosts]
}

run "a_port_that_pgbouncer_has" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1", mesh = { port = 6432 } } }
  }
  expect_failures = [var.hosts]
}

run "a_mesh_port_among_those_of_locations" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1", mesh = { port = 32767 } } }
  }
  expect_failures = [var.hosts]
}

run "no_runs_at_all" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1", max_runs = 0 } }
  }
  expect_failures = [var.hosts]
}

run "half_a_run" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1", max_runs = 1.5 } }
  }
  expect_failures = [var.hosts]
}

run "a_limit_of_containers_without_docker" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1" }, delta = { address = "10.0.1.4", docker = "none", max_runs = 1 } }
  }
  expect_failures = [var.hosts]
}

run "a_python_that_no_process_can_use" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1" }, delta = { address = "10.0.1.4", docker = "none", python = "3.10" } }
  }
  expect_failures = [var.hosts]
}

run "a_python_of_nothing" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1" }, delta = { address = "10.0.1.4", docker = "none", python = "" } }
  }
  expect_failures = [var.hosts]
}

run "a_python_where_docker_runs" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1", python = "3.13" } }
  }
  expect_failures = [var.hosts]
}

run "no_cpus" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1", cpus = 0 } }
  }
  expect_failures = [var.hosts]
}

run "memory_in_words" {
  command = plan
  variables {
    hosts = { alpha = { address = "10.0.1.1", memory = "64 GB" } }
  }
  expect_failures = [var.hosts]
}

run "an_operator_who_is_no_address" {
  command = plan
  variables {
    firewall = { operators = ["office"] }
  }
  expect_failures = [var.firewall]
}

run "a_network_with_bits_beyond_its_mask" {
  command = plan
  variables {
    firewall = { ssh = ["10.0.1.1/24"] }
  }
  expect_failures = [var.firewall]
}

run "a_network_in_ipv6_with_bits_beyond_its_mask" {
  command = plan
  variables {
    firewall = { web = ["fd00:1::1/64"] }
  }
  expect_failures = [var.firewall]
}

run "a_source_of_an_open_port_that_is_none" {
  command = plan
  variables {
    firewall = { open = [{ port = 9100, sources = ["10.0.0.256"] }] }
  }
  expect_failures = [var.firewall]
}

run "an_open_port_of_zero" {
  command = plan
  variables {
    firewall = { open = [{ port = 0 }] }
  }
  expect_failures = [var.firewall]
}

run "an_open_port_of_another_protocol" {
  command = plan
  variables {
    firewall = { open = [{ port = 9100, protocol = "sctp" }] }
  }
  expect_failures = [var.firewall]
}

run "an_open_port_that_is_the_mesh_s" {
  command = plan
  variables {
    firewall = { open = [{ port = 4443 }] }
  }
  expect_failures = [var.firewall]
}

run "a_way_to_docker_that_there_is_not" {
  command = plan
  variables {
    docker = { access = "telnet" }
  }
  expect_failures = [var.docker]
}
