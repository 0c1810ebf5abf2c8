import os

# Set before torch is imported: idle threads of several processes would spin against each other on few cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
