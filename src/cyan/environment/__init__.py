"""Environment variables: settings of a whole account and of its devices, staged until a rollout."""
