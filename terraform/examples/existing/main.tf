# Machines that exist already become a fleet: terraform apply waits for SSH and runs dagfleet apply.
terraform {
  required_version = ">= 1.9"
}

variable "dagfleet" {
  description = "The dagfleet command: its name on PATH, or its path."
  type        = string
  default     = "dagfleet"
}

variable "accept_new_host_keys" {
  description = "Trust the SSH host keys that hosts show for the first time."
  type        = bool
  default     = false
}

module "fleet" {
  source  = "../../modules/fleet"
  name    = "prod"
  control = { host = "alpha", web = { hostname = "dagster.example.com" } }
  hosts = {
    alpha = { address = "10.0.1.1", ssh = { user = "ops" } }
    beta  = { address = "10.0.1.2", ssh = { user = "ops" }, max_runs = 20 }
    gamma = { address = "10.0.1.3", ssh = { user = "ops" }, max_runs = 20 }
  }
  firewall = { operators = ["10.0.9.0/24"], ssh = ["10.0.9.0/24"] }
}

module "dagfleet" {
  source               = "../../modules/existing-hosts"
  contract             = module.fleet.contract
  fleet_file           = "${path.module}/fleet.yml"
  dagfleet             = var.dagfleet
  accept_new_host_keys = var.accept_new_host_keys
  # An edited fleet.yml is applied, too.
  triggers = filesha256("${path.module}/fleet.yml")
}

output "dagfleet" {
  description = "The fleet contract, which fleet.yml reads (terraform: .)."
  value       = module.fleet.contract
}
