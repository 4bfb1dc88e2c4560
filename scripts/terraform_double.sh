#!/bin/sh
# Let Terraform use the double of the clouds' providers: prints the path of a configuration for TF_CLI_CONFIG_FILE.
# What the double proves and what not: tests/component/terraform/double.py
# usage: TF_CLI_CONFIG_FILE=$(scripts/terraform_double.sh) terraform -chdir=terraform/examples/hetzner validate
set -eu
cd "$(dirname "$0")/.."

scripts/environment.sh terraform-double >&2
folder=$PWD/.build/terraform-double
mkdir -p "$folder/home"
for name in hcloud aws; do
    # The framework keeps a key of its own in the home folder.
    cat >"$folder/terraform-provider-$name.new" <<PROVIDER
#!/bin/sh
export HOME='$folder/home'
exec '$PWD/.build/environments/terraform-double/bin/python' '$PWD/tests/component/terraform/double.py' $name
PROVIDER
    chmod +x "$folder/terraform-provider-$name.new"
    mv "$folder/terraform-provider-$name.new" "$folder/terraform-provider-$name"
done
cat >"$folder/terraformrc.new" <<CONFIGURATION
provider_installation {
  dev_overrides {
    "hetznercloud/hcloud" = "$folder"
    "hashicorp/aws"       = "$folder"
  }
}
CONFIGURATION
mv "$folder/terraformrc.new" "$folder/terraformrc"
echo "$folder/terraformrc"
