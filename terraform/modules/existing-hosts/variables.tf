variable "contract" {
  description = "The fleet contract: `module.fleet.contract`."
  type        = any
  nullable    = false

  validation {
    condition     = can(var.contract.fleet.hosts) && try(var.contract.version, null) == 1
    error_message = "contract: holds no fleet contract of version 1; write module.fleet.contract, of modules of one release"
  }
}

variable "fleet_file" {
  description = "The fleet.yml that takes its machines from Terraform (`terraform: PATH` in it)."
  type        = string
  nullable    = false

  validation {
    condition     = fileexists(var.fleet_file)
    error_message = "fleet_file: there is no file ${var.fleet_file}; write one with dagfleet init --from-terraform"
  }
}

variable "dagfleet" {
  description = "The command to run: its name on PATH, or its path."
  type        = string
  default     = "dagfleet"
  nullable    = false

  validation {
    condition     = length(var.dagfleet) > 0
    error_message = "dagfleet: is empty; the command to run, such as dagfleet"
  }
}

variable "wait_seconds" {
  description = "How long to wait until every host lets dagfleet in over SSH."
  type        = number
  default     = 300
  nullable    = false

  validation {
    condition     = var.wait_seconds == floor(var.wait_seconds) && var.wait_seconds >= 0
    error_message = "wait_seconds: must be a whole number, 0 or more, not ${var.wait_seconds}"
  }
}

variable "accept_new_host_keys" {
  description = "Trust the SSH host keys that hosts show for the first time. Without it, accept them before: dagfleet check --accept-new-host-keys."
  type        = bool
  default     = false
  nullable    = false
}

variable "triggers" {
  description = "Apply again also when this changes, such as `filesha256(\"fleet.yml\")`."
  type        = any
  default     = null
}
