# Runs, tests and measures the application. Each target first sets up its tools; tools in place are left alone.

ifeq ($(filter oneshell,$(.FEATURES)),)
$(error GNU Make 3.82 or newer is needed. On macOS: "brew install make", then "gmake" instead of "make")
endif
.ONESHELL:
.SILENT:
.NOTPARALLEL:
.PHONY: run stack test long crash security check bench paper lock environment packages tools libraries browser servers java
SHELL := /bin/sh
.SHELLFLAGS := -ec
MAKEFLAGS += --no-print-directory

VENV := .venv
PYTHON := $(VENV)/bin/python
# The tests wait more than they work: four processes keep two processors busy. The tests of a file may share a site.
SEVERAL := -n 4 --dist loadfile --no-loadscope-reorder
LIBRARIES := libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 libseccomp2
AUDIT := $(PYTHON) -m pip_audit --strict --progress-spinner=off --desc=off --timeout=5 --no-deps --disable-pip -r /dev/stdin
FONTS := fonts-inter fonts-dejavu-core fonts-noto-core fonts-droid-fallback fonts-symbola
JAVA := default-jdk-headless libjaxb-java libistack-commons-java libactivation-java

run: packages libraries
	$(PYTHON) manage.py prepare --demo
	exec $(PYTHON) manage.py serve

# The same as on several machines, on this one machine: PostgreSQL, Redis, two webs, four workers, two sweeps and nginx.
stack: tools libraries servers
	exec $(PYTHON) -m tests.stack

# The suite without its longest tests, in under eight minutes on two processors.
test: tools libraries browser servers
	exec $(PYTHON) -m pytest $(SEVERAL) -m "not long"

# The tests that `make test` leaves out. .ci/run runs both.
long: tools libraries browser servers
	exec $(PYTHON) -m pytest $(SEVERAL) -m long

# The tests of faults (crash) and of attacks (security): parts of the suite, whole and longer than in `make test`.
crash: tools libraries browser servers
	SOAK_SECONDS=$${SOAK_SECONDS:-60} exec $(PYTHON) -m pytest $(SEVERAL) tests/crash tests/stack

security: tools libraries browser servers
	FUZZ_CASES=$${FUZZ_CASES:-10000} exec $(PYTHON) -m pytest $(SEVERAL) tests/security

# The checks use the settings of a site on the internet, and a data folder that is thrown away. One run names all
# faults.
check: tools libraries
	export DATA_DIR="$$(mktemp -d)" DEBUG=0 SECRET_KEY= EMAIL_HOST=mail.example.org
	export DEFAULT_FROM_EMAIL=documents@example.org
	export ALLOWED_HOSTS=example.org SITE_URL=https://example.org
	trap 'rm -rf "$$DATA_DIR"' EXIT
	wrong=0
	$(PYTHON) -m ruff format --check . || wrong=1
	$(PYTHON) -m ruff check . || wrong=1
	$(PYTHON) -m mypy || wrong=1
	$(VENV)/bin/lint-imports || wrong=1
	# DL3008 asks for fixed versions of Debian's packages, which are Debian's matter.
	$(VENV)/bin/hadolint --ignore DL3008 config/deploy/Dockerfile || wrong=1
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec config/deploy/compose.yaml || wrong=1
	$(PYTHON) manage.py makemigrations --check --dry-run || wrong=1
	$(PYTHON) manage.py check --deploy --fail-level WARNING || wrong=1
	# "freeze" leaves out pip itself, which came with Python. --strict: a service that knows only some packages is away.
	said=$$($(PYTHON) -m pip freeze --local | $(AUDIT) 2>&1) || case $$said in
		*"Found "*" known vulnerabilit"*) echo "$$said"; wrong=1 ;;
		*onnect* | *Timeout* | *ServiceError* | *"not found on PyPI"*)
			echo "The packages were NOT checked for known vulnerabilities: the service was not reached." ;;
		*) echo "$$said"; wrong=1 ;;
	esac
	exit $$wrong

# All benchmarks, or some: make bench WHAT="documents streams queue uploads search"
bench: tools libraries servers
	exec $(PYTHON) -m tests.bench $(WHAT)

# The validator of PDF/A and PDF/UA over many papers.
paper: tools libraries java
	exec $(PYTHON) -m tests.paper

# Both lists of packages, with hashes, from the direct packages in pyproject.toml. Locked versions stay;
# `make lock UPGRADE=--upgrade` looks for newer ones.
lock: tools
	lock="$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-annotate \
		--no-emit-index-url $(UPGRADE) pyproject.toml"
	$$lock --custom-compile-command "make lock" --output-file requirements.txt
	$$lock --custom-compile-command "make lock" --constraint requirements.txt --group test --output-file tests/requirements.txt

# The environment. The file "whole" is gone during an installation: an environment that was left half-made is made anew.
# Copies of the installed requirements lie beside "whole".

packages: environment
	$(call install,requirements.txt,the packages)

tools: packages
	$(call install,tests/requirements.txt,the test tools)

define install
cmp -s $(1) $(VENV)/$(subst /,-,$(1)) && exit
echo "Installing $(2) ..."
rm -f $(VENV)/whole
if ! $(PYTHON) -m pip install -qq --no-input --disable-pip-version-check -r $(1); then
	echo "Not everything in $(1) could be installed, for the reason above. Put that right and run make again." >&2
	exit 1
fi
cp $(1) $(VENV)/$(subst /,-,$(1))
touch $(VENV)/whole
endef

environment:
	[ -f $(VENV)/whole ] && $(PYTHON) -c 'import sys, pip; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && exit
	$(system)
	# A name on the path may be a shim with nothing behind it: only a Python that runs counts.
	suits='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))'
	find_python() {
		for version in 3.13 3.12 3.14; do
			for python in python$$version "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python \
				"$$(uv python find --no-project --no-python-downloads $$version 2>/dev/null)"; do
				"$$python" -c "$$suits" 2>/dev/null && echo "$$python" && return
			done
		done
		false
	}
	python=$$(find_python) ||
		{ apt_has_python && apt_install python3-venv && python=$$(find_python); } ||
		{ command -v uv >/dev/null && uv python install --quiet 3.13 && python=$$(find_python); } ||
		{ echo "Python 3.12 or newer is needed, with its venv module. Install it and run make again." >&2; exit 1; }
	echo "Making the environment $(VENV) ..."
	"$$python" -m venv --clear $(VENV)
	touch $(VENV)/whole

# The packages of the system: installed with apt where that is possible, else named.

libraries: packages
	$(system)
	missing=$$(not_installed $(LIBRARIES) $(FONTS))
	[ -z "$$missing" ] || apt_install $$missing && exit
	if ! $(PYTHON) -c 'import weasyprint' >/dev/null 2>&1; then
		echo "The PDFs need Pango and HarfBuzz, and fonts. $$(how_to_get $$missing)" >&2
		exit 1
	fi
	command -v dpkg-query >/dev/null || exit 0
	echo "Without all their fonts the PDFs look different. $$(how_to_get $$missing)" >&2

browser:
	$(system)
	command -v chromium >/dev/null || apt_install chromium ||
		echo "The tests of the pages need Chromium. $$(how_to_get chromium)" >&2

# The tests start servers of their own; the system's services are left alone.
servers:
	$(system)
	missing=
	command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing=postgresql
	command -v redis-server >/dev/null || missing="$$missing redis-server"
	command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing="$$missing nginx"
	command -v rabbitmq-server >/dev/null || [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing="$$missing rabbitmq-server"
	command -v systemd-analyze >/dev/null || missing="$$missing systemd"
	[ -z "$$missing" ] || apt_install $$missing ||
		echo "The stack, and the tests of faults and of safety, need more. $$(how_to_get $$missing)" >&2

java:
	$(system)
	missing=$$(not_installed $(JAVA))
	[ -z "$$missing" ] || apt_install $$missing || echo "veraPDF needs Java, and more. $$(how_to_get $$missing)" >&2

define system
not_installed() {
	printf 'installed %s\n' "$$@" |
		grep -vxF "$$(dpkg-query -W -f '$${db:Status-Status} $${Package}\n' "$$@" 2>/dev/null)" | cut -d ' ' -f 2
}
can_apt() {
	[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null
}
apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$$@"
}
apt_has_python() {
	can_apt && apt update && apt-cache depends python3 2>/dev/null | grep -qE 'Depends: python3\.1[2-9]'
}
apt_install() {
	can_apt || return
	echo "Installing with apt: $$* ..."
	apt install --yes --no-install-recommends "$$@" >/dev/null 2>&1 && return
	apt update && apt install --yes --no-install-recommends "$$@" >/dev/null
}
how_to_get() {
	if command -v apt-get >/dev/null; then
		echo "As root: apt-get install $$*"
	else
		echo "Install what your system has for Debian's packages $$*"
	fi
}
endef
