locals {
  environment = {
    DAGFLEET_COMMAND = var.dagfleet
    DAGFLEET_FILE    = abspath(var.fleet_file)
    # Terraform writes its state when it is done; until then this is the only place to read the contract.
    DAGFLEET_CONTRACT = jsonencode(var.contract)
  }
}

resource "terraform_data" "reachable" {
  triggers_replace = {
    for name, host in var.contract.fleet.hosts : name => "${host.ssh.user}@${host.address}:${host.ssh.port}"
  }

  provisioner "local-exec" {
    command = "exec sh '${path.module}/wait.sh'"
    environment = merge(local.environment, {
      WAIT_SECONDS         = var.wait_seconds
      ACCEPT_NEW_HOST_KEYS = var.accept_new_host_keys
    })
  }
}

resource "terraform_data" "applied" {
  triggers_replace = [var.contract, var.triggers]
  depends_on       = [terraform_data.reachable]

  provisioner "local-exec" {
    command     = "exec \"$DAGFLEET_COMMAND\" apply --yes"
    environment = local.environment
  }
}
