"""From a created run to a queued or a refused one."""
