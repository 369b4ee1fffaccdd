"""Runs the numbered migrations on the engine that `cyan.core.db.migrate` hands over."""

from alembic import context

from cyan.core.db.schema import metadata

engine = context.config.attributes["engine"]
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
