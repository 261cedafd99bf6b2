module example.com/ledger

go 1.26.0

require github.com/asof-dev/asof v0.0.0

replace github.com/asof-dev/asof => ../../..
