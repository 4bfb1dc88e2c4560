output "dagfleet" {
  description = "The fleet contract: dagfleet init --from-terraform reads it."
  value       = module.fleet.contract
  depends_on  = [hcloud_server.host]
}
