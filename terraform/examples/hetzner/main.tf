# A fleet on Hetzner Cloud. Addresses come first, so that each server starts behind its firewall.
resource "hcloud_primary_ip" "host" {
  for_each      = var.hosts
  name          = each.key
  type          = "ipv4"
  assignee_type = "server"
  location      = var.location
  auto_delete   = false
}

module "fleet" {
  source   = "../../modules/fleet"
  name     = "prod"
  control  = { host = "alpha", web = { hostname = var.hostname } }
  firewall = { operators = var.operators, ssh = var.operators }
  hosts = {
    for name, host in var.hosts : name => {
      address  = hcloud_primary_ip.host[name].ip_address
      ssh      = { user = "ops" }
      docker   = host.docker
      max_runs = host.max_runs
    }
  }
}

resource "hcloud_firewall" "host" {
  for_each = module.fleet.firewall
  name     = each.key
  rule {
    direction  = "in"
    protocol   = "icmp"
    source_ips = ["0.0.0.0/0", "::/0"]
  }
  dynamic "rule" {
    for_each = each.value
    content {
      description = rule.value.purpose
      direction   = "in"
      protocol    = rule.value.protocol
      port        = rule.value.port
      source_ips  = rule.value.sources
    }
  }
}

resource "hcloud_ssh_key" "ops" {
  name       = "ops"
  public_key = var.ssh_public_key
}

resource "hcloud_server" "host" {
  for_each     = var.hosts
  name         = each.key
  image        = "debian-12"
  server_type  = each.value.server_type
  location     = var.location
  ssh_keys     = [hcloud_ssh_key.ops.id]
  firewall_ids = [hcloud_firewall.host[each.key].id]
  user_data    = local.cloud_init
  public_net {
    ipv4         = hcloud_primary_ip.host[each.key].id
    ipv6_enabled = false
  }
}
