# What `cmake --install` puts where, in three components, which cpack makes three packages of:
#   runtime   the shared library
#   dev       headers, static library, pkg-config file, CMake package
#   program   reprise, its manual pages and completions
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/reprise)

install(TARGETS reprise_shared EXPORT reprise-shared
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev)
install(TARGETS reprise_static EXPORT reprise-static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
install(FILES ${RP_HEADERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)

# find_package(reprise)
include(CMakePackageConfigHelpers)
foreach(kind shared static)
    install(EXPORT reprise-${kind} NAMESPACE reprise:: DESTINATION ${package_dir} COMPONENT dev)
endforeach()
configure_package_config_file(cmake/reprise-config.cmake.in ${gen}/reprise-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${gen}/reprise-config-version.cmake COMPATIBILITY SameMajorVersion)   # as the SOVERSION
install(FILES ${gen}/reprise-config.cmake ${gen}/reprise-config-version.cmake DESTINATION ${package_dir} COMPONENT dev)

# pkg-config: the folders relative to the file, so that an installed tree can be moved.
file(RELATIVE_PATH pc_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
set(pc_libs_private "-pthread -lm")
foreach(library ${CMAKE_DL_LIBS})
    string(APPEND pc_libs_private " -l${library}")
endforeach()
configure_file(cmake/reprise.pc.in ${gen}/reprise.pc @ONLY)
install(FILES ${gen}/reprise.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)

if(RP_PROGRAM AND TARGET reprise)
    install(TARGETS reprise RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
endif()
if(RP_REFERENCE)
    install(DIRECTORY ${RP_REFERENCE}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT program)
    install(FILES ${RP_REFERENCE}/reprise DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT program)
    # Where zsh looks: Debian's packages have a folder of their own.
    install(CODE "set(zsh_folder site-functions)
        if(CMAKE_INSTALL_PREFIX STREQUAL \"/usr\" AND EXISTS /etc/debian_version)
            set(zsh_folder vendor-completions)
        endif()" COMPONENT program)
    install(FILES ${RP_REFERENCE}/_reprise DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/\${zsh_folder} COMPONENT program)
endif()
