variables {
  name    = "prod"
  control = { host = "alpha", web = { hostname = "dagster.example.com" } }
  hosts = {
    alpha = { address = "10.0.1.1", ssh = { user = "ops", port = 2222 } }
    beta  = { address = "10.0.1.2", max_runs = 20, labels = { gpu = "true" }, docker_port = 12376 }
    delta = { address = "10.0.1.4", docker = "none", python = "3.13" }
  }
}

run "the_contract_is_versioned_and_says_no_more_than_was_said" {
  assert {
    condition     = output.contract.version == 1
    error_message = "the contract's version is not 1"
  }
  assert {
    condition = jsonencode(output.contract.fleet.hosts.alpha) == jsonencode({
      address = "10.0.1.1", docker = "engine", docker_port = 2376, mesh = { port = 4443 }, ssh = { port = 2222, user = "ops" }
    })
    error_message = "alpha is ${jsonencode(output.contract.fleet.hosts.alpha)}"
  }
  assert {
    condition     = output.contract.fleet.hosts.beta.max_runs == 20 && output.contract.fleet.hosts.beta.labels.gpu == "true"
    error_message = "beta lost what was said of it"
  }
  assert {
    condition     = output.contract.fleet.hosts.delta.python == "3.13"
    error_message = "delta is ${jsonencode(output.contract.fleet.hosts.delta)}"
  }
  assert {
    condition     = jsonencode(output.contract.fleet.control) == jsonencode({ host = "alpha", web = { hostname = "dagster.example.com", port = 443 } })
    error_message = "control is ${jsonencode(output.contract.fleet.control)}"
  }
  assert {
    condition     = jsonencode(output.contract.fleet.firewall) == "{}"
    error_message = "a firewall that nobody described is in the contract"
  }
}

run "a_host_opens_only_what_it_serves" {
  assert {
    condition = [for door in output.firewall.alpha : "${door.purpose} ${door.port}"] == ["ssh 2222", "mesh 4443", "docker 2376", "web 443"]
    # A control host serves the web UI, too.
    error_message = jsonencode(output.firewall.alpha)
  }
  assert {
    condition     = [for door in output.firewall.beta : "${door.purpose} ${door.port}"] == ["ssh 22", "mesh 4443", "docker 12376"]
    error_message = jsonencode(output.firewall.beta)
  }
  assert {
    condition     = [for door in output.firewall.delta : "${door.purpose} ${door.port}"] == ["ssh 22", "mesh 4443"]
    error_message = jsonencode(output.firewall.delta)
  }
}

run "only_the_control_host_comes_to_the_others_and_all_come_to_it" {
  assert {
    condition = alltrue([
      for host, doors in output.firewall : alltrue([
        for door in doors : toset(door.sources) == toset(
          host == "alpha" && door.purpose == "mesh" ? ["10.0.1.1/32", "10.0.1.2/32", "10.0.1.4/32"] : ["10.0.1.1/32"]
        ) if contains(["mesh", "docker"], door.purpose)
      ])
    ])
    error_message = jsonencode(output.firewall)
  }
}

run "sources_become_networks_and_operators_reach_docker" {
  variables {
    control = { host = "alpha", web = { acme_port = 8402 } }
    firewall = {
      operators = ["10.0.9.7", "fd00:9::7"]
      ssh       = ["10.0.9.0/24"]
      web       = ["fd00:9::/64"]
      open      = [{ port = 9100, sources = ["10.0.0.9"] }, { port = 514, protocol = "udp" }]
    }
  }
  assert {
    condition     = jsonencode(output.firewall.alpha[0].sources) == jsonencode(["10.0.9.0/24"])
    error_message = jsonencode(output.firewall.alpha)
  }
  assert {
    condition     = alltrue([for source in ["10.0.9.7/32", "fd00:9::7/128"] : contains(output.firewall.beta[2].sources, source)])
    error_message = jsonencode(output.firewall.beta)
  }
  assert {
    condition = jsonencode([for door in output.firewall.alpha : door if contains(["web", "acme", "open"], door.purpose)]) == jsonencode([
      { port = 443, protocol = "tcp", purpose = "web", sources = ["fd00:9::/64"] },
      { port = 80, protocol = "tcp", purpose = "acme", sources = ["0.0.0.0/0", "::/0"] },
      { port = 9100, protocol = "tcp", purpose = "open", sources = ["10.0.0.9/32"] },
      { port = 514, protocol = "udp", purpose = "open", sources = ["0.0.0.0/0", "::/0"] },
    ])
    error_message = jsonencode(output.firewall.alpha)
  }
  assert {
    condition     = output.contract.fleet.firewall.operators == tolist(["10.0.9.7", "fd00:9::7"])
    error_message = "the contract does not say what the user wrote"
  }
}

run "what_fleet_yml_accepts_is_accepted" {
  variables {
    hosts = {
      alpha = { address = "255.1.0.250", ssh = { user = "ops", port = 30000, key = "id_ed25519" }, memory = "512M", cpus = 0.5 }
      delta = { address = "10.0.1.4", docker = "none", docker_port = 4443, mesh = { port = 8443 } }
    }
    firewall = { open = [{ port = 443, protocol = "udp", sources = ["fd00:0001::/64", "10.0.0.0/8"] }] }
  }
}

run "docker_over_ssh_opens_no_port_and_lets_the_launcher_in_by_ssh" {
  variables {
    docker   = { access = "ssh" }
    firewall = { operators = ["10.0.9.7"], ssh = ["10.0.9.0/24"] }
  }
  assert {
    condition     = !contains([for door in flatten(values(output.firewall)) : door.purpose], "docker")
    error_message = jsonencode(output.firewall)
  }
  assert {
    condition = jsonencode({ for host, doors in output.firewall : host => doors[0].sources }) == jsonencode({
      alpha = ["10.0.9.0/24", "10.0.1.1/32"], beta = ["10.0.9.0/24", "10.0.1.1/32"], delta = ["10.0.9.0/24"]
    })
    error_message = jsonencode(output.firewall)
  }
  assert {
    condition     = output.contract.fleet.docker.access == "ssh"
    error_message = "the contract does not say how Docker is reached"
  }
}
