# `cmake --build build --target docs`: docs/html from the public headers and docs/*.md; what is undocumented is an error.
find_program(RP_DOXYGEN doxygen)
if(top AND RP_DOXYGEN)
    set(doxygen_headers "")
    foreach(header ${RP_HEADERS})
        string(APPEND doxygen_headers " ${PROJECT_SOURCE_DIR}/${header}")
    endforeach()
    configure_file(docs/Doxyfile.in ${gen}/Doxyfile @ONLY)
    add_custom_target(docs COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/docs
        COMMAND ${RP_DOXYGEN} ${gen}/Doxyfile COMMENT "doxygen" VERBATIM)
elseif(top)
    message(STATUS "Documents: no doxygen, so there is no target docs")
endif()
