package restapi

// Flott is what GET /jobs/:id says beyond Flink's fields, for our own CLI and web page. Times are Unix milliseconds, 0: not reached.
type Flott struct {
	Phases       Phases `json:"phases"`
	WaitingFor   string `json:"waiting-for"` // a sentence while slots are missing, else empty
	Ending       string `json:"ending"`      // the step of the job's or the application's end in progress, else empty
	OnHold       bool   `json:"on-hold"`     // the leader may decide nothing at present
	Cause        string `json:"cause"`       // first line of what failed the job, else empty
	Workers      int    `json:"workers"`     // that serve the job
	SlotsWanted  int    `json:"slots-wanted"`
	SlotsPresent int    `json:"slots-present"`
	Totals       Totals `json:"totals"`
}

// Phases are the moments that a person waiting for the job asks about.
type Phases struct {
	Created int64 `json:"created"` // the job's JobMaster exists
	Wanted  int64 `json:"slots-wanted"`
	Placed  int64 `json:"slots-present"` // all of them; the tasks go out
	Running int64 `json:"running"`       // every task has been RUNNING
	Ended   int64 `json:"tasks-ended"`
}

// Totals are summed over all tasks: records and bytes that came in and went out through exchanges.
type Totals struct {
	RecordsIn  int64 `json:"records-in"`
	RecordsOut int64 `json:"records-out"`
	BytesIn    int64 `json:"bytes-in"`
	BytesOut   int64 `json:"bytes-out"`
}
