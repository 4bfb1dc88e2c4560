variable "name" {
  description = "Name of the fleet, in certificates and on every host."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.name))
    error_message = "name: \"${var.name}\" cannot be a name; use up to 31 lower-case letters, digits, dashes"
  }
}

variable "control" {
  description = <<-EOT
    The control plane: web server, daemon, database, the queue.
    - host: The one host that runs the control plane; it needs Docker.
    - web.hostname: Name that people type; in the certificate.
    - web.port: Port of the web UI on the control host.
    - web.acme_port: Port on the control host's loopback where an ACME client answers HTTP challenges. Port 80 is then open to everybody, for these and nothing else.
  EOT
  type = object({
    host = string
    web = optional(object({
      hostname  = optional(string)
      port      = optional(number, 443)
      acme_port = optional(number)
    }), {})
  })
  nullable = false

  validation {
    condition     = contains(keys(var.hosts), var.control.host)
    error_message = "control.host: no host is named \"${var.control.host}\"; known are ${join(", ", keys(var.hosts))}"
  }
  validation {
    condition     = try(var.hosts[var.control.host].docker, "engine") != "none"
    error_message = "control.host: \"${var.control.host}\" has docker: none, but the control plane needs Docker; name another"
  }
  validation {
    condition = var.control.web.hostname == null ? true : (
      length(var.control.web.hostname) <= 253 &&
      !can(regex("^[0-9]+(\\.[0-9]+){3}$", var.control.web.hostname)) &&
      can(regex("(?i)^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$", var.control.web.hostname))
    )
    error_message = "control.web.hostname: \"${coalesce(var.control.web.hostname, "-")}\" is not a host name; write one such as dagster.example.com"
  }
  validation {
    condition = alltrue([
      for port in [var.control.web.port, coalesce(var.control.web.acme_port, 1)] :
      port == floor(port) && port >= 1 && port <= 65535
    ])
    error_message = join("\n", [
      for key, port in { port = var.control.web.port, acme_port = coalesce(var.control.web.acme_port, 1) } :
      "control.web.${key}: ${port != floor(port) ? "must be a whole number; this is a number" : port < 1 ? "must be 1 or more, not ${port}" : "must be 65535 or less, not ${port}"}"
      if port != floor(port) || port < 1 || port > 65535
    ])
  }
  validation {
    condition = !contains(
      concat([3000, 6432], try([
        var.hosts[var.control.host].ssh.port, var.hosts[var.control.host].mesh.port, var.hosts[var.control.host].docker_port
      ], [])),
      var.control.web.port
    )
    error_message = "control.web.port: port ${var.control.web.port} is used by ${lookup(merge(
      { (3000) = "the web server", (6432) = "PgBouncer" },
      try({ (var.hosts[var.control.host].docker_port) = "hosts.${var.control.host}.docker_port" }, {}),
      try({ (var.hosts[var.control.host].mesh.port) = "hosts.${var.control.host}.mesh.port" }, {}),
      try({ (var.hosts[var.control.host].ssh.port) = "hosts.${var.control.host}.ssh.port" }, {}),
    ), tostring(var.control.web.port), "another")} on ${var.control.host}; choose another"
  }
  validation {
    condition     = var.control.web.port < 20000 || var.control.web.port > 32767
    error_message = "control.web.port: port ${var.control.web.port} may be given to a location (20000 to 32767); choose another"
  }
}
