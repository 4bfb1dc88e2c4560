variable "firewall" {
  description = <<-EOT
    Who may reach the hosts' ports; answers, ICMP and loopback always pass.
    - operators: Addresses and networks from which operators reach the Docker endpoint.
    - ssh: Addresses and networks that SSH may come from; anywhere when absent.
    - web: Addresses and networks that may use the web UI; anywhere when absent.
    - open: What else the hosts serve.
    - open.port: The port.
    - open.protocol: Its protocol.
    - open.sources: Addresses and networks that may use it; anywhere when absent.
  EOT
  type = object({
    operators = optional(list(string), [])
    ssh       = optional(list(string), [])
    web       = optional(list(string), [])
    open = optional(list(object({
      port     = number
      protocol = optional(string, "tcp")
      sources  = optional(list(string), [])
    })), [])
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for source in concat(var.firewall.operators, var.firewall.ssh, var.firewall.web, flatten(var.firewall.open[*].sources)) :
      (strcontains(source, ":") || can(regex("^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\\.|/|$)){4}", source))) && try(
        cidrhost(strcontains(source, "/") ? source : "${source}/${strcontains(source, ":") ? 128 : 32}", 0) ==
        cidrhost("${split("/", source)[0]}/${strcontains(source, ":") ? 128 : 32}", 0), false
      )
    ])
    error_message = join("\n", flatten([
      for place in concat(
        [for key in ["operators", "ssh", "web"] : { key = key, sources = var.firewall[key] }],
        [for open in var.firewall.open : { key = "open.sources", sources = open.sources }]
        ) : [
        for source in place.sources : "firewall.${place.key}: \"${source}\" is no address or network; write 10.0.1.2, 10.0.1.0/24 or fd00:1::/64"
        if !((strcontains(source, ":") || can(regex("^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\\.|/|$)){4}", source))) && try(
          cidrhost(strcontains(source, "/") ? source : "${source}/${strcontains(source, ":") ? 128 : 32}", 0) ==
          cidrhost("${split("/", source)[0]}/${strcontains(source, ":") ? 128 : 32}", 0), false
        ))
      ]
    ]))
  }
  validation {
    condition = alltrue([for open in var.firewall.open : open.port == floor(open.port) && open.port >= 1 && open.port <= 65535])
    error_message = join("\n", [
      for open in var.firewall.open :
      "firewall.open.port: ${open.port != floor(open.port) ? "must be a whole number; this is a number" : open.port < 1 ? "must be 1 or more, not ${open.port}" : "must be 65535 or less, not ${open.port}"}"
      if open.port != floor(open.port) || open.port < 1 || open.port > 65535
    ])
  }
  validation {
    condition     = alltrue([for open in var.firewall.open : contains(["tcp", "udp"], open.protocol)])
    error_message = "firewall.open.protocol: must be tcp or udp; this is text"
  }
  validation {
    condition = length(setintersection(
      [for open in var.firewall.open : open.port if open.protocol != "udp"],
      flatten([var.control.web.port, [for host in var.hosts : [host.ssh.port, host.docker_port, host.mesh.port]]])
    )) == 0
    error_message = join("\n", [
      for open in var.firewall.open : "firewall.open.port: ${open.port} is Dagfleet's own; ${
        contains([for host in var.hosts : host.mesh.port], open.port) ? "only hosts of the fleet may use it" :
        contains([for host in var.hosts : host.docker_port], open.port) ? "firewall.operators opens it" :
        contains([for host in var.hosts : host.ssh.port], open.port) ? "firewall.ssh says who may use it" : "firewall.web says who may use it"
      }" if open.protocol != "udp" && contains(flatten([var.control.web.port, [for host in var.hosts : [host.ssh.port, host.docker_port, host.mesh.port]]]), open.port)
    ])
  }
}
