"""The deployed control plane, asked the way its users do: HTTPS, a login, GraphQL."""
