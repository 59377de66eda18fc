"""What mesh costs beside what it is compared with: ``python -m benchmarks``. One file for each benchmark."""
