int command_trace(int argc, char **argv); int command_trace(int argc, char **argv) { (void)argc,(void)argv; return 1; }
int command_doctor(int argc, char **argv); int command_doctor(int argc, char **argv) { (void)argc,(void)argv; return 1; }
