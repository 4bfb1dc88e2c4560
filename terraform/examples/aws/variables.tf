variable "hosts" {
  description = "The machines, by name; each has the address of this number in the subnet (AWS keeps 0 to 3)."
  type = map(object({
    number        = number
    instance_type = string
    docker        = optional(string)
    max_runs      = optional(number)
  }))
  default = {
    alpha = { number = 11, instance_type = "m7i.large" }
    beta  = { number = 12, instance_type = "m7i.xlarge", max_runs = 8 }
    gamma = { number = 13, instance_type = "m7i.xlarge", max_runs = 8 }
  }
}

variable "subnet_id" {
  description = "The subnet for the machines, with a way out for packages and images."
  type        = string
}

variable "ami" {
  description = "Image of Debian 12 in your region (x86_64 or arm64, as the instance types)."
  type        = string
}

variable "operators" {
  description = "Addresses and networks from which you come with SSH and to the Docker endpoint, and people to the web UI."
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
