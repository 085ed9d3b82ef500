module kindnet

go 1.21
