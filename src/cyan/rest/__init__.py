"""How every endpoint looks: route registry, authentication, bodies, errors, streams."""
