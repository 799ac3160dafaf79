# The commands of README.md. What they do is in local/.

.PHONY: demo check test fuzz up down invoke bench collection tools check-tools

# Tells the main jobs as a story, on a local stack; VERBOSE=1 shows the bodies as well.
demo: tools
	@.venv/bin/python local/demo.py $(if $(VERBOSE),--verbose)

# Runs every check that needs no stack: formats, lints, types, the template, Rust tests.
check: check-tools
	@.venv/bin/python local/check.py

# Runs every check, and the end-to-end tests on a local stack.
test: check-tools
	@.venv/bin/python local/test.py

# Calls the local stack with requests made up from openapi.yaml: make fuzz SEED=7 REQUESTS=20000 SECONDS=3600
# (REQUESTS, at least, for each protocol; SECONDS, at most, in all).
fuzz: tools
	@.venv/bin/python local/fuzz.py --seed $(or $(SEED),1) --requests $(or $(REQUESTS),10000) --seconds $(or $(SECONDS),1800)

# Builds and deploys the stack to a local AWS.
up: tools
	@.venv/bin/python local/stack.py up

# Stops what `make up` started.
down: tools
	@.venv/bin/python local/stack.py down

# Runs one function in Docker: make invoke FUNCTION=SubscribeFunction EVENT=events/subscribe/list.json
invoke: tools
	@.venv/bin/python local/invoke.py '$(FUNCTION)' '$(EVENT)'

# Measures the functions, and writes docs/benchmarks.md.
bench: tools
	@.venv/bin/python benches/bench.py

# Makes a collection of the API for Postman or Bruno from openapi.yaml; needs Node.js.
collection: tools
	@.venv/bin/python local/collection.py

tools:
	@local/install

check-tools:
	@local/install checks
