# The commands of README.md. What they do is in local/.

.PHONY: demo test up down tools

# Shows the main job on a local stack.
demo: tools
	@.venv/bin/python local/demo.py

# Runs every check and every test.
test: tools
	@.venv/bin/python local/test.py

# Builds and deploys the stack to a local AWS.
up: tools
	@.venv/bin/python local/stack.py up

# Stops what `make up` started.
down: tools
	@.venv/bin/python local/stack.py down

tools:
	@local/install
