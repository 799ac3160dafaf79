# The commands of README.md. What they do is in local/.

.PHONY: demo test up down bench tools

# Shows the main job on a local stack.
demo: tools
	@.venv/bin/python local/demo.py

# Runs every check and every test.
test: tools
	@.venv/bin/python local/test.py

# Measures the functions, and writes docs/benchmarks.md.
bench: tools
	@.venv/bin/python benches/bench.py

# Builds and deploys the stack to a local AWS.
up: tools
	@.venv/bin/python local/stack.py up

# Stops what `make up` started.
down: tools
	@.venv/bin/python local/stack.py down

tools:
	@local/install
