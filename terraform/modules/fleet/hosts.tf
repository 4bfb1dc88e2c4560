variable "hosts" {
  description = <<-EOT
    The machines, by name.
    - address: Address by which the other hosts reach this one.
    - ssh.user: Who logs in; needs sudo unless root.
    - ssh.port: Port of sshd.
    - ssh.key: Private key, relative to fleet.yml; without it SSH's own settings and agent decide.
    - docker: `engine`: locations and runs are containers; `none`: they are bare processes.
    - python: Its python3, where locations are bare processes: their wheels are for it; 3.11 when absent.
    - docker_port: Port of the Docker endpoint (mutual TLS).
    - mesh.port: Port that HAProxy listens on for mutual TLS.
    - max_runs: How many run containers this host takes at once; no limit when absent.
    - cpus: CPUs that runs here may ask for together; no limit when absent.
    - memory: Memory that runs here may ask for together; no limit when absent.
    - labels: Facts of your own about the host. Runs choose by them (tag `multihost/labels`: `gpu=true`); Ansible sees them as `dagfleet_labels`.
  EOT
  type = map(object({
    address = string
    ssh = optional(object({
      user = optional(string, "root")
      port = optional(number, 22)
      key  = optional(string)
    }), {})
    docker      = optional(string, "engine")
    python      = optional(string)
    docker_port = optional(number, 2376)
    mesh        = optional(object({ port = optional(number, 4443) }), {})
    max_runs    = optional(number)
    cpus        = optional(number)
    memory      = optional(string)
    labels      = optional(map(string), {})
  }))
  nullable = false

  validation {
    condition     = length(var.hosts) > 0
    error_message = "hosts: is empty; the machines, by name"
  }
  validation {
    condition = alltrue([for name in keys(var.hosts) : can(regex("^[a-z][a-z0-9-]{0,30}$", name))])
    error_message = join("\n", [
      for name in keys(var.hosts) :
      "hosts.${name}: \"${name}\" cannot be a name; use up to 31 lower-case letters, digits, dashes"
      if !can(regex("^[a-z][a-z0-9-]{0,30}$", name))
    ])
  }
  validation {
    condition = length(setintersection(keys(var.hosts), [
      "gateway", "launcher", "reader", "web", "db", "localhost", "all", "ungrouped", "control", "dagfleet"
    ])) == 0
    error_message = join("\n", [
      for name in setintersection(keys(var.hosts), [
        "gateway", "launcher", "reader", "web", "db", "localhost", "all", "ungrouped", "control", "dagfleet"
      ]) : "hosts.${name}: \"${name}\" is a name that Dagfleet uses itself; call the host something else"
    ])
  }
  validation {
    condition = alltrue([
      for host in var.hosts : can(regex("^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\\.|$)){4}$", host.address)) && !endswith(host.address, ".")
    ])
    error_message = join("\n", [
      for name, host in var.hosts :
      "hosts.${name}.address: \"${host.address}\" is not an IPv4 address; write one such as 10.0.1.2"
      if !can(regex("^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\\.|$)){4}$", host.address)) || endswith(host.address, ".")
    ])
  }
  validation {
    condition = !anytrue([
      for host in var.hosts : can(regex("^(127\\.|0\\.0\\.0\\.0$|22[4-9]\\.|23[0-9]\\.)", host.address))
    ])
    error_message = join("\n", [
      for name, host in var.hosts :
      "hosts.${name}.address: \"${host.address}\" cannot be reached by the other hosts; write the address that they use"
      if can(regex("^(127\\.|0\\.0\\.0\\.0$|22[4-9]\\.|23[0-9]\\.)", host.address))
    ])
  }
  validation {
    condition = length(distinct([for host in var.hosts : host.address])) == length(var.hosts)
    error_message = join("\n", [
      for name, host in var.hosts :
      "hosts.${name}.address: ${host.address} is the address of \"${try([for other, its in var.hosts : other if its.address == host.address][0], name)}\" already"
      if try([for other, its in var.hosts : other if its.address == host.address][0], name) != name
    ])
  }
  validation {
    condition = alltrue([for host in var.hosts : length(host.ssh.user) > 0])
    error_message = join("\n", [
      for name, host in var.hosts : "hosts.${name}.ssh.user: is empty; who logs in; needs sudo unless root" if length(host.ssh.user) == 0
    ])
  }
  validation {
    condition = alltrue([for host in var.hosts : try(length(host.ssh.key) > 0, true)])
    error_message = join("\n", [
      for name, host in var.hosts :
      "hosts.${name}.ssh.key: is empty; private key, relative to fleet.yml; without it SSH's own settings and agent decide"
      if try(length(host.ssh.key) == 0, false)
    ])
  }
  validation {
    condition = alltrue([for host in var.hosts : contains(["engine", "none"], host.docker)])
    error_message = join("\n", [
      for name, host in var.hosts : "hosts.${name}.docker: must be engine or none; this is text" if !contains(["engine", "none"], host.docker)
    ])
  }
  validation {
    condition = alltrue([for host in var.hosts : contains(["3.11", "3.12", "3.13"], host.python == null ? "3.11" : host.python)])
    error_message = join("\n", [
      for name, host in var.hosts : "hosts.${name}.python: must be 3.11 or 3.12 or 3.13; this is text"
      if !contains(["3.11", "3.12", "3.13"], host.python == null ? "3.11" : host.python)
    ])
  }
  validation {
    condition = !anytrue([for host in var.hosts : host.docker != "none" && host.python != null])
    error_message = join("\n", [
      for name, host in var.hosts :
      "hosts.${name}.python: is for bare processes, but this host runs Docker, whose images bring their own; take it out"
      if host.docker != "none" && host.python != null
    ])
  }
  validation {
    condition = alltrue(flatten([
      for host in var.hosts : [
        for port in [host.ssh.port, host.mesh.port, host.docker_port] : port == floor(port) && port >= 1 && port <= 65535
      ]
    ]))
    error_message = join("\n", flatten([
      for name, host in var.hosts : [
        for key, port in { "ssh.port" = host.ssh.port, "mesh.port" = host.mesh.port, docker_port = host.docker_port } :
        "hosts.${name}.${key}: ${port != floor(port) ? "must be a whole number; this is a number" : port < 1 ? "must be 1 or more, not ${port}" : "must be 65535 or less, not ${port}"}"
        if port != floor(port) || port < 1 || port > 65535
      ]
    ]))
  }
  validation {
    condition = alltrue([
      for host in var.hosts : length(distinct(
        concat([3000, 6432, host.ssh.port, host.mesh.port], host.docker == "none" ? [] : [host.docker_port])
      )) == (host.docker == "none" ? 4 : 5)
    ])
    error_message = join("\n", flatten([
      for name, host in var.hosts : [
        for key, use in {
          "ssh.port"  = { port = host.ssh.port, before = { (3000) = "the web server", (6432) = "PgBouncer" } }
          "mesh.port" = { port = host.mesh.port, before = merge({ (3000) = "the web server", (6432) = "PgBouncer" }, { (host.ssh.port) = "hosts.${name}.ssh.port" }) }
          docker_port = { port = host.docker == "none" ? -1 : host.docker_port, before = merge(
            { (3000) = "the web server", (6432) = "PgBouncer" }, { (host.ssh.port) = "hosts.${name}.ssh.port" }, { (host.mesh.port) = "hosts.${name}.mesh.port" }
          ) }
        } : "hosts.${name}.${key}: port ${use.port} is used by ${use.before[tostring(use.port)]} on ${name}; choose another"
        if contains(keys(use.before), tostring(use.port))
      ]
    ]))
  }
  validation {
    condition = !anytrue(flatten([
      for host in var.hosts : [
        for port in concat([host.mesh.port], host.docker == "none" ? [] : [host.docker_port]) : port >= 20000 && port <= 32767
      ]
    ]))
    error_message = join("\n", flatten([
      for name, host in var.hosts : [
        for key, port in { "mesh.port" = host.mesh.port, docker_port = host.docker == "none" ? 0 : host.docker_port } :
        "hosts.${name}.${key}: port ${port} may be given to a location (20000 to 32767); choose another"
        if port >= 20000 && port <= 32767
      ]
    ]))
  }
  validation {
    condition = alltrue([for host in var.hosts : try(host.max_runs == floor(host.max_runs) && host.max_runs >= 1, true)])
    error_message = join("\n", [
      for name, host in var.hosts :
      "hosts.${name}.max_runs: ${host.max_runs == floor(host.max_runs) ? "must be 1 or more, not ${host.max_runs}" : "must be a whole number; this is a number"}"
      if try(host.max_runs != floor(host.max_runs) || host.max_runs < 1, false)
    ])
  }
  validation {
    condition = !anytrue([for host in var.hosts : host.docker == "none" && host.max_runs != null])
    error_message = join("\n", [
      for name, host in var.hosts :
      "hosts.${name}.max_runs: counts containers, but this host has docker: none; set limits in its locations"
      if host.docker == "none" && host.max_runs != null
    ])
  }
  validation {
    condition = alltrue([for host in var.hosts : try(host.cpus > 0, true)])
    error_message = join("\n", [
      for name, host in var.hosts : "hosts.${name}.cpus: must be more than 0, not ${host.cpus}" if try(host.cpus <= 0, false)
    ])
  }
  validation {
    condition = alltrue([for host in var.hosts : host.memory == null || can(regex("^[1-9][0-9]*[kmgKMG]$", host.memory))])
    error_message = join("\n", [
      for name, host in var.hosts : "hosts.${name}.memory: \"${host.memory}\" is no amount of memory; write one like 64g or 512m"
      if host.memory != null && !can(regex("^[1-9][0-9]*[kmgKMG]$", host.memory))
    ])
  }
}
