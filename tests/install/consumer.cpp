#include "consumer.c"   // the same program as C++
