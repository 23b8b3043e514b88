"""One script a stage: declare, read, call, write. `dvc.yaml` owns paths, `params.yaml` owns values."""
