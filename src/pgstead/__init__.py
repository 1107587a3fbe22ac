"""pgstead: production PostgreSQL on ground you own."""
