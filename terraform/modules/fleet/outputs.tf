output "contract" {
  description = "What fleet.yml takes from Terraform, in fleet.yml's own keys. Put it into an output named `dagfleet` of the root module."
  value = {
    version = 1
    fleet = {
      name = var.name
      control = {
        host = var.control.host
        web  = { for key, value in var.control.web : key => value if value != null }
      }
      hosts = {
        for name, host in var.hosts : name => merge(
          {
            address     = host.address
            ssh         = { for key, value in host.ssh : key => value if value != null }
            docker      = host.docker
            docker_port = host.docker_port
            mesh        = host.mesh
          },
          { for key in ["python", "max_runs", "cpus", "memory"] : key => host[key] if host[key] != null },
          length(host.labels) == 0 ? {} : { labels = host.labels }
        )
      }
      docker   = var.docker
      firewall = { for key, value in var.firewall : key => value if length(value) > 0 }
    }
  }
}

output "firewall" {
  description = "The firewall matrix: for each host what it serves, by purpose, to which networks. Everything else is closed."
  value       = local.firewall
}
