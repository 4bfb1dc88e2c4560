variable "docker" {
  description = <<-EOT
    Docker on the hosts, as far as ports depend on it.
    - access: How the launcher reaches Docker: `mesh` is HAProxy with mutual TLS, rules and revocation; `tls` is dockerd's own, without either, restarted at each renewal; `ssh` is an account on each host that may do nothing else, without certificates and ports.
  EOT
  type = object({
    access = optional(string, "mesh")
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["mesh", "tls", "ssh"], var.docker.access)
    error_message = "docker.access: must be mesh or tls or ssh; this is text"
  }
}
