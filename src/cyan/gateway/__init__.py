"""Live device connections: sockets, links, sessions and what is answered on them."""
