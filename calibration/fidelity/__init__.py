"""Hold the simulator against measurements: ``offing fidelity``. Needs neither PyTorch nor any other extra."""
