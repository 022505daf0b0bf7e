module example.com/someone/job

go 1.26.0

require (
	github.com/colinmarc/hdfs/v2 v2.4.0
	github.com/flott-dev/flott v0.1.0
	google.golang.org/grpc v1.85.0
)
