locals {
  # A user with a key and sudo: what apply needs, and nobody else.
  cloud_init = "#cloud-config\n${yamlencode({
    disable_root = true
    ssh_pwauth   = false
    users = [{
      name                = "ops"
      shell               = "/bin/bash"
      sudo                = "ALL=(ALL) NOPASSWD:ALL"
      lock_passwd         = true
      ssh_authorized_keys = [var.ssh_public_key]
    }]
  })}"
}
