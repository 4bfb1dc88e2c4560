# A fleet on AWS, in a subnet that is there: you reach it from inside, or by a VPN.
data "aws_subnet" "fleet" {
  id = var.subnet_id
}

module "fleet" {
  source   = "../../modules/fleet"
  name     = "prod"
  control  = { host = "alpha", web = { hostname = var.hostname } }
  firewall = { operators = var.operators, ssh = var.operators, web = var.operators }
  hosts = {
    for name, host in var.hosts : name => {
      address  = cidrhost(data.aws_subnet.fleet.cidr_block, host.number)
      ssh      = { user = "ops" }
      docker   = host.docker
      max_runs = host.max_runs
    }
  }
}

resource "aws_security_group" "host" {
  for_each    = module.fleet.firewall
  name        = "dagfleet-${each.key}"
  description = "What ${each.key} serves, and to whom"
  vpc_id      = data.aws_subnet.fleet.vpc_id
  dynamic "ingress" {
    for_each = each.value
    content {
      description      = ingress.value.purpose
      protocol         = ingress.value.protocol
      from_port        = ingress.value.port
      to_port          = ingress.value.port
      cidr_blocks      = [for source in ingress.value.sources : source if !strcontains(source, ":")]
      ipv6_cidr_blocks = [for source in ingress.value.sources : source if strcontains(source, ":")]
    }
  }
  egress {
    protocol         = "-1"
    from_port        = 0
    to_port          = 0
    cidr_blocks      = ["0.0.0.0/0"]
    ipv6_cidr_blocks = ["::/0"]
  }
}

resource "aws_instance" "host" {
  for_each               = var.hosts
  ami                    = var.ami
  instance_type          = each.value.instance_type
  subnet_id              = data.aws_subnet.fleet.id
  private_ip             = module.fleet.contract.fleet.hosts[each.key].address
  vpc_security_group_ids = [aws_security_group.host[each.key].id]
  user_data              = local.cloud_init
  tags                   = { Name = each.key }
}
