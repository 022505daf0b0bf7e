package main

func yarnGroups() []group { return nil }
