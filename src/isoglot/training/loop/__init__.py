"""The ecosystem's trainer, made to fit: processes, precision, checkpoints, logs."""
