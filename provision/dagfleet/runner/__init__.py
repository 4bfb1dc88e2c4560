"""ansible-playbook as a subprocess: started, followed, understood."""
