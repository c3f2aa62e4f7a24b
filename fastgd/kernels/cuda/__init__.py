"""The kernels as programs of an NVIDIA GPU. `engine` is what the package asks for; all else loads without a GPU."""
