// Package roles starts the processes that a job binary can be. It is the only place where configuration becomes components: it reads the
// options, makes every Config, connects the endpoints, and turns their end into an exit code.
//
// flow.Main calls [Main]; the role comes from the environment, never from the job's own arguments:
//
//	FLOTT_ROLE=           the job runs in this process (local.go)
//	FLOTT_ROLE=plan       the plan is written to the file FLOTT_PLAN_OUT (planrole.go)
//	FLOTT_ROLE=appmaster  the ApplicationMaster (appmaster.go)
//	FLOTT_ROLE=worker     a worker (worker.go)
//
// Two parts serve both the local role and the containers: a master (master.go) is the leader-scoped ResourceManager and Dispatcher behind
// one address, made anew at every grant; a node (node.go) is one TaskExecutor with its job runtimes.
//
// What always holds: variables that are ours are unset before the job's code runs; nothing reads configuration after its component was made;
// a process ends only here, in Main, after everything that was started has ended.
package roles
