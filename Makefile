.PHONY: demo test build bench clean

# The main job: a BAR pinned in a real guest (on the simulated machine where no QEMU can be had).
demo: build
	@node_modules/.bin/tsx scripts/demo.ts

# Installs what is needed and runs every check and test.
test:
	@scripts/check

build: node_modules
	@node scripts/build.mjs --no-types

node_modules: package-lock.json
	@scripts/need-node
	npm ci --no-audit --no-fund
	@touch node_modules

bench: build
	@npm run --silent bench

clean:
	rm -rf dist coverage node_modules .cache
