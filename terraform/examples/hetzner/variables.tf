variable "hosts" {
  description = "The machines, by name. The token comes from HCLOUD_TOKEN."
  type = map(object({
    server_type = string
    docker      = optional(string)
    max_runs    = optional(number)
  }))
  default = {
    alpha = { server_type = "cx33" }
    beta  = { server_type = "cx43", max_runs = 8 }
    gamma = { server_type = "cx43", max_runs = 8 }
  }
}

variable "operators" {
  description = "Addresses and networks from which you come with SSH and to the Docker endpoint."
  type        = list(string)
}

variable "ssh_public_key" {
  description = "Your SSH key, its public half."
  type        = string
}

variable "hostname" {
  description = "Name that people type to reach the web UI."
  type        = string
}

variable "location" {
  description = "Hetzner's location."
  type        = string
  default     = "fsn1"
}
