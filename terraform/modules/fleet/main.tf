locals {
  anywhere = ["0.0.0.0/0", "::/0"]
  # Networks in CIDR notation, which is what clouds want for single addresses too.
  networks = {
    for name, sources in merge(
      {
        fleet   = [for host in var.hosts : host.address]
        control = [for name, host in var.hosts : host.address if name == var.control.host]
      },
      { operators = var.firewall.operators, ssh = var.firewall.ssh, web = var.firewall.web },
      { for index, open in var.firewall.open : index => open.sources }
    ) : name => [for source in sources : strcontains(source, "/") ? source : "${source}/${strcontains(source, ":") ? 128 : 32}"]
  }
  docker_by_ssh = var.docker.access == "ssh"
  ssh = {
    for name, host in var.hosts : name => length(local.networks.ssh) == 0 ? local.anywhere : distinct(concat(
      local.networks.ssh,
      # The launcher logs in to start runs.
      local.docker_by_ssh && host.docker != "none" ? local.networks.control : []
    ))
  }
  web = length(local.networks.web) == 0 ? local.anywhere : local.networks.web

  on_control = concat(
    [{ purpose = "web", port = var.control.web.port, protocol = "tcp", sources = local.web }],
    var.control.web.acme_port == null ? [] : [{ purpose = "acme", port = 80, protocol = "tcp", sources = local.anywhere }]
  )
  on_all = [
    for index, open in var.firewall.open : {
      purpose  = "open"
      port     = open.port
      protocol = open.protocol
      sources  = length(open.sources) == 0 ? local.anywhere : local.networks[index]
    }
  ]
  firewall = {
    for name, host in var.hosts : name => concat(
      [
        { purpose = "ssh", port = host.ssh.port, protocol = "tcp", sources = local.ssh[name] },
        # No flow goes between two other hosts.
        {
          purpose  = "mesh"
          port     = host.mesh.port
          protocol = "tcp"
          sources  = name == var.control.host ? local.networks.fleet : local.networks.control
        },
      ],
      host.docker == "none" || local.docker_by_ssh ? [] : [{
        purpose  = "docker"
        port     = host.docker_port
        protocol = "tcp"
        sources  = concat(local.networks.control, local.networks.operators)
      }],
      name == var.control.host ? local.on_control : [],
      local.on_all
    )
  }
}
