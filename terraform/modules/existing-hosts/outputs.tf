output "applied" {
  description = "Another value after each apply, for what must wait for the fleet or follow it."
  value       = terraform_data.applied.id
}
